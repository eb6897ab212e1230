/** A launcher whose own parent left it a descriptor of the host's root folder. Prints what a jail of it has open. */
import { startJail } from '../../../sandbox/start-jail.ts';

const jail = await startJail(
  { argv: ['sh', '-c', 'echo $(ls /proc/self/fd); for fd in /proc/1/fd/*; do n=${fd##*/}; case $n in 0|1|2) echo $n;; *) echo $n:$(readlink $fd);; esac; done | tr "\\n" " "'], run_id: 'run_test', work: process.argv[2] ?? '', give_work: true },
  { onConnection: (socket) => socket.destroy() },
);
jail.stdout.pipe(process.stdout);
jail.stderr.pipe(process.stderr);
process.exitCode = (await jail.exited).code ?? 1;
