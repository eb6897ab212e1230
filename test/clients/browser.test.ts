/** Headless Chromium over clear text, TLS that is looked into and TLS that is not. */
import { suite } from './suite.ts';
import { chromium, documents } from './tables/chromium.ts';

suite([chromium], () => Promise.resolve(documents));
