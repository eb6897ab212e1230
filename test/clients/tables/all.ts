import type { Client } from '../client.ts';
import { chromium } from './chromium.ts';
import { goGrpc, goHttp, reqwest } from './compiled-clients.ts';
import { javaConnection, javaHttpClient } from './java.ts';
import { nodeClients } from './node-clients.ts';
import { pythonClients } from './python.ts';
import { tools } from './tools.ts';

/** In the order of docs/clients.md. */
export const allClients: readonly Client[] = [
  ...tools, ...pythonClients, ...nodeClients, goHttp, goGrpc, javaHttpClient, javaConnection, reqwest, chromium,
];
