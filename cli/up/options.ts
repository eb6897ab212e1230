import { isLoopback, parseListenAddress, type ListenAddress } from '../listen-address.ts';

/** More than any machine has use for: each is a process with a policy engine of its own. */
const mostWorkers = 64;

/** An address to listen on; without the flag only loopback, since agents' and operators' tokens cross it. */
export function listenOption(flag: '--listen' | '--api', text: string, withoutTls: boolean, sentences: string[]): ListenAddress | undefined {
  const parsed = parseListenAddress(text);
  if ('mistake' in parsed) sentences.push(`${flag}: ${parsed.mistake}.`);
  else if (!isLoopback(parsed.value) && !withoutTls) {
    sentences.push(`${flag} ${text} can be reached from the network, and tokens would cross it readable: use a loopback address behind TLS, or add --without-tls.`);
  } else return parsed.value;
  return undefined;
}

export function workersOption(text: string, sentences: string[]): number | undefined {
  if (/^[1-9][0-9]?$/.test(text) && Number(text) <= mostWorkers) return Number(text);
  sentences.push(`--workers: "${text}" is not a number from 1 to ${mostWorkers}.`);
  return undefined;
}
