/**
 * An assembler for the classic BPF that seccomp runs: `struct sock_filter` (linux/filter.h), eight bytes each, over
 * `struct seccomp_data` (linux/seccomp.h). Jumps go forwards only, by at most 255 instructions.
 */
const load = 0x20;
const jumpIfEqual = 0x15;
const jumpIfAtLeast = 0x35;
const jumpIfAnyBit = 0x45;
const giveBack = 0x06;

const longestJump = 255;
/** The kernel takes no longer program (BPF_MAXINSNS). */
const mostInstructions = 4096;

export type Instruction =
  | { readonly kind: 'label'; readonly name: string }
  | { readonly kind: 'load'; readonly offset: number }
  /** Jumps to `whenTrue` when true, to `whenFalse` when false; without a label it goes on. */
  | { readonly kind: 'equal' | 'at_least' | 'any_bit'; readonly value: number; readonly whenTrue: string | undefined; readonly whenFalse: string | undefined }
  | { readonly kind: 'return'; readonly value: number };

const codes = { equal: jumpIfEqual, at_least: jumpIfAtLeast, any_bit: jumpIfAnyBit } as const;

export const label = (name: string): Instruction => ({ kind: 'label', name });
export const loadAt = (offset: number): Instruction => ({ kind: 'load', offset });
export const ifEqual = (value: number, whenTrue?: string, whenFalse?: string): Instruction => ({ kind: 'equal', value, whenTrue, whenFalse });
export const ifAtLeast = (value: number, whenTrue?: string, whenFalse?: string): Instruction => ({ kind: 'at_least', value, whenTrue, whenFalse });
export const ifAnyBit = (value: number, whenTrue?: string, whenFalse?: string): Instruction => ({ kind: 'any_bit', value, whenTrue, whenFalse });
export const answer = (value: number): Instruction => ({ kind: 'return', value });

export function assemble(program: readonly Instruction[]): Buffer {
  const places = new Map<string, number>();
  const instructions: Exclude<Instruction, { kind: 'label' }>[] = [];
  for (const instruction of program) {
    if (instruction.kind === 'label') places.set(instruction.name, instructions.length);
    else instructions.push(instruction);
  }
  if (instructions.length > mostInstructions) throw new RangeError(`The filter has ${instructions.length} instructions`);
  const distance = (from: number, to: string | undefined): number => {
    if (to === undefined) return 0;
    const place = places.get(to);
    const steps = place === undefined ? Number.NaN : place - from - 1;
    if (!(steps >= 0 && steps <= longestJump)) throw new RangeError(`The filter cannot jump from ${from} to ${to}`);
    return steps;
  };
  const bytes = Buffer.alloc(instructions.length * 8);
  instructions.forEach((instruction, index) => {
    const put = (code: number, value: number, whenTrue: number = 0, whenFalse: number = 0): void => {
      bytes.writeUInt16LE(code, index * 8);
      bytes.writeUInt8(whenTrue, index * 8 + 2);
      bytes.writeUInt8(whenFalse, index * 8 + 3);
      bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
    };
    if (instruction.kind === 'load') put(load, instruction.offset);
    else if (instruction.kind === 'return') put(giveBack, instruction.value);
    else put(codes[instruction.kind], instruction.value, distance(index, instruction.whenTrue), distance(index, instruction.whenFalse));
  });
  return bytes;
}
