import { z } from 'zod';

/** Any JSON value (RFC 8259). */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

const depthMax = 64;

function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string': return value.isWellFormed();
    case 'boolean': return true;
    case 'number': return Number.isFinite(value);
    case 'object': break;
    default: return false;
  }
  if (value === null) return true;
  if (depth >= depthMax) return false;
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1));
  for (const key in value) if (!key.isWellFormed() || !isJson((value as Record<string, unknown>)[key], depth + 1)) return false;
  return true;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isJson(value, 0);
}

/**
 * An object of JSON values that has a canonical form (contracts/canonical-json.ts): at most 64 levels deep, no lone surrogates. It is
 * passed on as it is; `z.json()` takes ten times as long and drops a key `__proto__`.
 */
export const jsonObjectSchema: z.ZodType<JsonObject> = z.custom<JsonObject>(isJsonObject, 'must be an object of JSON values');
