import { join } from 'node:path';
import { startNode } from '../machine/node.ts';
import { programPath } from '../machine/programs.ts';
import type { Origin, Origins, Stage } from '../stage.ts';
import { startNginx } from './nginx.ts';

export async function startOrigins(stage: Stage): Promise<Origins> {
  const nginx = programPath('nginx');
  if (nginx === undefined) throw new Error('nginx is missing: apt-get install nginx-light');
  const [answers, bulk, events] = await Promise.all([startNginx(stage, nginx), own(stage, 'bulk'), own(stage, 'events')]);
  return { ...answers, bulk, events };
}

async function own(stage: Stage, name: string): Promise<Origin> {
  const child = startNode(stage.children, `origin-${name}`, new URL(`./${name}.ts`, import.meta.url), { cores: stage.cores.load, log: join(stage.folder, `origin-${name}.log`) });
  const { port } = await child.line();
  return { port: Number(port), pids: [child.pid] };
}
