import test from 'ava';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openAgentLog } from '../../../cli/up/agent-log.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('an agent\'s log is its owner\'s alone, holds what fits, and says once that it was cut', async (t) => {
  const path = join(await temporaryFolder(t), 'agents', 'run_1.log');
  const log = openAgentLog(path, 10);
  t.is((await stat(path)).mode & 0o777, 0o600);
  t.is((await stat(join(path, '..'))).mode & 0o777, 0o700);
  log.write(Buffer.from('12345'));
  log.write(Buffer.from('67890'));
  t.is(await readFile(path, 'utf8'), '1234567890', 'the limit itself fits');
  log.write(Buffer.from('abc'));
  log.write(Buffer.from('def'));
  log.note('and a word of ours');
  log.close();
  t.is(await readFile(path, 'utf8'), '1234567890\n[sallyport] The log is cut here, at 10 bytes; the agent goes on.\n[sallyport] and a word of ours\n');

  const again = openAgentLog(path, 10);
  again.write(Buffer.from('another start'));
  again.close();
  t.false((await readFile(path, 'utf8')).includes('another'), 'the limit is the run\'s, not the start\'s');
});
