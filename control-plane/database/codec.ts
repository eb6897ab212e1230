import { SallyportError } from '../../contracts/errors.ts';

type Parse = (text: string) => unknown;

/** int8 as a number: what we store in it (milliseconds, units, versions) stays below 2^53, and a value that doesn't is a fault. */
function int8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new SallyportError('internal', `The database holds an integer beyond 2^53: ${text}`);
  return value;
}

function bytea(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex');
}

/** Postgres writes an offset without minutes (`+00`), which ECMAScript does not read. */
function timestamp(text: string): number {
  const iso = text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00');
  return Date.parse(/[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}Z`);
}

const json: Parse = (text) => JSON.parse(text) as unknown;
const asText: Parse = (text) => text;

/**
 * How values of these types (by pg_type OID) come out of the database. Left to themselves pg answers int8 as string and
 * bytea as Buffer, PGlite number or bigint and Uint8Array; with this table both answer the same.
 */
export const parsers: Readonly<Record<number, Parse>> = {
  17: bytea,
  20: int8,
  114: json,
  1082: asText, // date: a calendar day is no instant
  1114: timestamp,
  1184: timestamp,
  1700: asText, // numeric: sum(int8) is one, so cast it
  3802: json,
};

/**
 * A value for a json or jsonb parameter, or for `jsonb_to_recordset`. Always text: pg makes a Postgres array of a JavaScript
 * array, and PGlite serialises by the parameter's type.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(value);
}
