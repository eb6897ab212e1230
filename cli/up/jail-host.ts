import { systemClock } from '../../contracts/clock.ts';
import { toProblem, toSallyportError } from '../../contracts/errors.ts';
import { AgentHost, type HostConfiguration } from './agent-host.ts';
import type { ChildMessage, ConfigurationMessage } from './messages.ts';

let host: AgentHost | undefined;

function say(message: ChildMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => { /* A supervisor that has gone is told by 'disconnect'. */ });
}

function start(configuration: HostConfiguration): void {
  try {
    host = new AgentHost(configuration, systemClock, (text) => { process.stderr.write(`${JSON.stringify({ time: systemClock.now(), name: 'jail-host', msg: text })}\n`); });
    host.start();
    say({ type: 'ready', addresses: {} });
  } catch (thrown) {
    const error = toSallyportError(thrown);
    say({ type: 'failed', problem: toProblem(error) });
    process.exitCode = error.entry.exit;
    process.disconnect();
  }
}

async function stop(): Promise<void> {
  await host?.stop();
  process.exit(0);
}

process.once('message', (message: ConfigurationMessage) => {
  if (message.type === 'configuration') start(message.configuration as HostConfiguration);
});
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
process.on('disconnect', () => void stop());
