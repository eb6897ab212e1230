import test from 'ava';
import { answer, assemble, ifEqual, label, loadAt } from '../../../sandbox/seccomp/bpf.ts';

test('each instruction is eight bytes: code, the two jumps, the value', (t) => {
  const program = assemble([loadAt(4), ifEqual(0xc000003e, 'yes', 'no'), label('yes'), answer(0x7fff0000), label('no'), answer(0x80000000)]);
  t.is(program.toString('hex'), ['2000000004000000', '150000013e0000c0', '060000000000ff7f', '0600000000000080'].join(''));
});

test('a jump to nowhere, backwards or too far is refused', (t) => {
  t.throws(() => assemble([ifEqual(1, 'nowhere'), answer(0)]), { message: /jump/ });
  t.throws(() => assemble([label('back'), loadAt(0), ifEqual(1, 'back'), answer(0)]), { message: /jump/ });
  t.throws(() => assemble([ifEqual(1, 'far'), ...Array.from({ length: 256 }, () => answer(0)), label('far'), answer(1)]), { message: /jump/ });
  t.notThrows(() => assemble([ifEqual(1, 'far'), ...Array.from({ length: 255 }, () => answer(0)), label('far'), answer(1)]));
});
