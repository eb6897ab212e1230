import type { ModuleFacts, SourceError } from './compiler/protocol.ts';
import type { Pack } from './policy-folder.ts';

/** Rule ids that the aggregator gives by itself, in the name of core. */
const ofTheAggregator: ReadonlySet<string> = new Set(['core.default_deny', 'core.look_inside', 'core.obligation_conflict', 'core.unknown_pack']);

const effectOf: Readonly<Record<string, string>> = { deny: 'deny', require_approval: 'require_approval', allow: 'allow' };

/** Holds the rule ids that the sources spell against the packs' catalogues: `why`, reports and grants rely on them. */
export function catalogueFaults(packs: readonly Pack[], modules: readonly ModuleFacts[]): readonly SourceError[] {
  const faults: SourceError[] = [];
  const seen = new Set<string>();
  const byName = new Map(packs.map((pack) => [pack.name, pack]));
  for (const module of modules) {
    const name = module.package[1] === 'packs' ? module.package[2] : undefined;
    const pack = name === undefined || module.test ? undefined : byName.get(name);
    if (pack === undefined) continue;
    for (const { set, rule, row } of module.reasons) {
      const fault = (message: string): number => faults.push({ file: module.file, row, col: 1, code: 'sallyport_rule_id', message });
      seen.add(rule);
      const entry = pack.rules[rule];
      if (!rule.startsWith(`${pack.name}.`)) fault(`the rule id ${rule} must start with ${pack.name}., its pack's name`);
      else if (entry === undefined) fault(`the rule id ${rule} is not in packs/${pack.name}/pack.json`);
      else if (set !== 'obligation' && effectOf[set] !== entry.effect) fault(`the rule ${rule} is in ${set}, but packs/${pack.name}/pack.json says ${entry.effect}`);
    }
  }
  for (const pack of packs) {
    for (const rule of Object.keys(pack.rules)) {
      if (seen.has(rule) || ofTheAggregator.has(rule)) continue;
      faults.push({ file: `packs/${pack.name}/pack.json`, row: 0, col: 0, code: 'sallyport_rule_id', message: `no Rego file of the pack gives the rule ${rule}` });
    }
  }
  return faults;
}
