/** Headless Chromium over clear text, TLS that is looked into and TLS that is not. */
import { suite } from './suite.ts';
import { chromium } from './tables/chromium.ts';

suite([chromium]);
