/** A launcher that is a worker thread. Its exit code is that of the error. */
import { workerData } from 'node:worker_threads';
import { toSallyportError } from '../../../contracts/errors.ts';
import { startJail } from '../../../sandbox/start-jail.ts';

try {
  const jail = await startJail({ argv: ['true'], run_id: 'run_test', work: workerData as string, give_work: true }, { onConnection: (socket) => socket.destroy() });
  await jail.kill();
} catch (error) {
  process.exitCode = toSallyportError(error).entry.exit;
}
