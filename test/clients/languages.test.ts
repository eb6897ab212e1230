/** Clients of Node, Go, Rust and Java, unchanged, over clear text, TLS that is looked into and TLS that is not. */
import { suite } from './suite.ts';
import { goGrpc, goHttp, reqwest } from './tables/compiled-clients.ts';
import { javaConnection, javaHttpClient } from './tables/java.ts';
import { nodeClients } from './tables/node-clients.ts';

suite([...nodeClients, goHttp, goGrpc, reqwest, javaHttpClient, javaConnection]);
