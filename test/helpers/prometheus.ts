/** One line of values in Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[-+0-9.eE]+)$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy;

/** Reads the text format (version 0.0.4) and throws at whatever is not of it: a sample without its type, a histogram that shrinks. */
export function parsePrometheus(text: string): readonly Sample[] {
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  if (!text.endsWith('\n')) throw new Error('The last line does not end.');
  for (const [index, row] of text.split('\n').entries()) {
    if (row === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(row) ?? [];
    if (kind === 'TYPE') {
      if (types.has(name)) throw new Error(`${name} has two types.`);
      if (!['counter', 'gauge', 'histogram', 'summary', 'untyped'].includes(rest)) throw new Error(`${name} is a ${rest}.`);
      types.set(name, rest);
    }
    if (kind !== undefined) continue;
    const [, metric, labels = '', value = ''] = line.exec(row) ?? [];
    if (metric === undefined) throw new Error(`Line ${index + 1} is no sample: ${row}`);
    if (!types.has(metric) && !types.has(metric.replace(/_(bucket|sum|count)$/, ''))) throw new Error(`${metric} has no type.`);
    const pairs = [...labels.matchAll(label)];
    if (pairs.map(([whole]) => whole).join('') !== labels) throw new Error(`Line ${index + 1} has labels that cannot be read: ${labels}`);
    samples.push({ name: metric, labels: Object.fromEntries(pairs.map(([, key = '', text = '']) => [key, text])), value: Number(value.replace('Inf', 'Infinity')) });
  }
  return samples;
}
