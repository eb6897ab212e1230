import { parentPort, workerData } from 'node:worker_threads';
import { startJail } from '../../../sandbox/start-jail.ts';

try {
  const jail = await startJail({ argv: ['true'], run_id: 'run_test', work: workerData as string, give_work: true }, { onConnection: (socket) => socket.destroy() });
  await jail.kill();
  parentPort?.postMessage('started');
} catch (error) {
  parentPort?.postMessage({ code: (error as { code: string }).code });
}
