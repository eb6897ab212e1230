import type { HeaderList } from '../exchange.ts';

/** Values of the field `name` (lower case), in order. */
export function fieldValues(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const field = headers[index]!;
    if (field.length === name.length && field.toLowerCase() === name) values.push(headers[index + 1]!);
  }
  return values;
}

/** Members of a comma list (RFC 9110, section 5.6.1), lower case, empty ones left out. */
export function listMembers(values: readonly string[]): string[] {
  return values.join(',').toLowerCase().split(',').map((member) => member.trim()).filter((member) => member !== '');
}
