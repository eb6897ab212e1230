export default {
  files: ['test/**/*.test.ts'],
  // The checker is tsc; Node strips the types itself.
  extensions: ['ts'],
  nodeArguments: ['--disable-warning=ExperimentalWarning', '--disallow-code-generation-from-strings'],
  // A jail dies with the thread that spawned it, and threads share too much.
  workerThreads: false,
  // Most files wait for processes and sockets of their own more than they compute: one more than the two cores we count on.
  concurrency: 3,
  timeout: '2m',
};
