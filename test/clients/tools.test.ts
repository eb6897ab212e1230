/** Programs of the command line, unchanged, over clear text, TLS that is looked into and TLS that is not. */
import { suite } from './suite.ts';
import { curl } from './tables/curl.ts';

suite([curl]);
