/** Python's clients of HTTP, WebSocket and gRPC, and the SDKs of model providers, as their documentation has them. */
import { models } from './origins/models.ts';
import { suite } from './suite.ts';
import { pythonClients } from './tables/python.ts';

suite(pythonClients, async () => models);
