/** Programs of the command line, unchanged, over clear text, TLS that is looked into and TLS that is not. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gitOrigin } from '../helpers/git-origin.ts';
import { debianArchive, npmRegistry, pythonIndex } from './origins/packages.ts';
import { suite } from './suite.ts';
import { tools } from './tables/tools.ts';

suite(tools, async (lifetime) => {
  const git = await gitOrigin(lifetime, '/git');
  return {
    '/git/': (request, response) => git.respond(request as IncomingMessage, response as ServerResponse),
    ...await npmRegistry(lifetime),
    ...await pythonIndex(lifetime),
    ...await debianArchive(lifetime),
  };
});
