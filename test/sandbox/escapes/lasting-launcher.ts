/** A launcher to be killed: its jail runs daemons that left their session. */
import { startJail } from '../../../sandbox/start-jail.ts';

const daemon = 'setsid sh -c "(sleep 1000 &) ; sleep 1000" > /dev/null 2>&1 &';
const jail = await startJail(
  { argv: ['sh', '-c', `${daemon} ${daemon} sleep 0.3; echo ready; sleep 1000`], run_id: 'run_test', work: process.argv[2] ?? '', give_work: true },
  { onConnection: (socket) => socket.destroy() },
);
jail.stderr.pipe(process.stderr);
jail.stdout.once('data', () => console.log(`agent ${jail.facts.agent_pid}`));
await jail.exited;
