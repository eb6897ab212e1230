/** A demo that could not fail would show nothing. */
import test from 'ava';
import type { Sightings } from '../../demo/sightings.ts';
import { jobFaults, tell } from '../../demo/timeline.ts';
import type { Event, EventType } from '../../contracts/event.ts';
import type { JsonObject } from '../../contracts/json.ts';

let count = 0;
function event(type: EventType, facts: JsonObject, payload: JsonObject = {}): Event {
  return { v: 1, event_id: String(++count), type, at: 1000 + count, causes: [], actor: { kind: 'proxy', id: 'p' }, facts, payload };
}
const site = { act: 'request', scheme: 'http', host: 'site.example', port: 80 } as const;
const get = (path: string): Event[] => [
  event('egress.decided', { egress_id: path }, { ...site, method: 'GET', path }),
  event('egress.completed', { egress_id: path }, { status: 200 }),
];
const denied = (code: string, payload: JsonObject): Event => event('egress.denied', { egress_id: 'x', code, effect: 'deny' }, { ...site, method: 'GET', path: '/', ...payload });

const seen = (requests: Readonly<Record<string, number>>, canaries: Readonly<Record<string, number>> = {}, connections?: number): Sightings => ({
  requests: new Map(Object.entries(requests)), canaries: new Map(Object.entries(canaries)),
  connections: connections ?? Object.values(requests).reduce((sum, number) => sum + number, 0),
});
const record = [event('run.created', {}), ...get('/a'), denied('policy_denied', { host: 'other.example' }), event('run.transitioned', { to: 'Done' })];

test('a record that is what arrived has no hole', (t) => {
  const story = tell(record, seen({ 'GET http://site.example/a': 1 }, { '10.1.2.3:80': 0 }));
  t.deepEqual(story.holes, []);
  t.deepEqual(story.lines.map(({ verdict, outcome, ok }) => [verdict, outcome, ok]), [['event', '', true], ['allowed', '200', true], ['refused', 'policy_denied', true], ['event', '', true]]);
  t.deepEqual([story.allowed, story.refused], [1, 1]);
});

const holes: readonly [what: string, events: readonly Event[], sightings: Sightings, told: RegExp][] = [
  ['a request that arrived and is not in the record', record, seen({ 'GET http://site.example/a': 1, 'GET http://site.example/b': 1 }), /The site saw GET http:\/\/site\.example\/b once, and the record allowed it 0 times/],
  ['a request that arrived more often than it was allowed', record, seen({ 'GET http://site.example/a': 2 }), /GET http:\/\/site\.example\/a 2 times/],
  ['a request that was allowed and never arrived', record, seen({}), /The record of GET .*\/a is not what the site saw/],
  ['a refused request that arrived', [...get('/a'), denied('policy_denied', { method: 'DELETE', path: '/a' })], seen({ 'GET http://site.example/a': 1, 'DELETE http://site.example/a': 1 }), /The site saw DELETE http:\/\/site\.example\/a once/],
  ['a canary that was reached', record, seen({ 'GET http://site.example/a': 1 }, { '10.1.2.3:80': 1 }), /The canary at 10\.1\.2\.3:80 was reached once/],
  ['a connection without a request', record, seen({ 'GET http://site.example/a': 1 }, {}, 2), /2 connections for 1 requests/],
];
for (const [what, events, sightings, told] of holes) {
  test(`a hole is told: ${what}`, (t) => t.true(tell(events, sightings).holes.some((hole) => told.test(hole)), JSON.stringify(tell(events, sightings).holes)));
}

test('a run in which nothing was tried is a failure too', (t) => {
  const faults = jobFaults(tell(record, seen({ 'GET http://site.example/a': 1 })), { requests: 5, exitCode: 1 });
  for (const told of [/ended with 1/, /1 requests were allowed/, /job is not done: POST/, /budget_exhausted is recorded 0 times/, /core\.metadata_address is recorded 0 times/]) {
    t.true(faults.some((fault) => told.test(fault)), String(told));
  }
});
