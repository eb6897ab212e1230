import type { Place, Refusal, Step } from '../client.ts';

/** A line that makes the three calls of origins/grpc.ts one after the other and prints a line for each. */
type Calling = (place: Place, url: string) => string;

const url = ({ way, host }: Place): string => `${way === 'plain' ? 'grpc' : 'grpcs'}://${host}`;

/** One call without streams, one with a stream of answers, and one with streams both ways; shared by the clients of gRPC. */
export const grpcSteps = (calling: Calling): readonly Step[] => [{
  title: 'three calls',
  command: (place) => calling(place, url(place)),
  prints: 'echo a\nb1 b2 b3\necho c echo d\n',
  seen: () => [
    { method: 'POST', target: '/test.Echo/Unary', body: 'a' },
    { method: 'POST', target: '/test.Echo/Stream', body: 'b' },
    { method: 'POST', target: '/test.Echo/Bidi', body: 'c d' },
  ],
}];

/** gRPC has a status of its own for it (7), and a message. */
export const grpcRefusals = (calling: Calling): readonly Refusal[] => [
  { title: 'a host that nothing allows', of: 'host', command: (place) => calling(place, url(place)), shows: /^7 .*policy_denied/m },
];
