import type { Need } from '../helpers/world/missing.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import type { Client } from './client.ts';
import { drive, workFolder } from './drive.ts';
import { before, findings } from './findings.ts';
import type { Part } from './origins/site.ts';
import { programsLack, type ProgramsName } from './programs.ts';
import { startScene, type Scene } from './scene.ts';

/** Of the origins. */
const always = ['world', 'jail', 'command openssl'] as const;

/** Two tests for each client. `parts` are what its origin answers beside the usual pages. */
export function suite(clients: readonly Client[], parts: (lifetime: ReturnType<typeof fileLifetime>) => Promise<Readonly<Record<string, Part>>> = async () => ({})): void {
  const lifetime = fileLifetime();
  const needed = (client: Client): readonly ProgramsName[] => [...client.programs ?? [], ...(client.origin === 'grpc' ? ['node' as const] : [])];
  const present = clients.filter((client) => needed(client).every((name) => programsLack(name) === undefined));
  let scene: Scene;
  let work: string;
  needs(...always).before(async () => {
    scene = await startScene(lifetime, present, await parts(lifetime));
    work = await workFolder(lifetime, scene, new Set(present.flatMap((client) => client.programs ?? [])));
  });

  for (const client of clients) {
    const test = needs(...always, ...client.needs ?? [], ...needed(client).map((name): Need => `programs ${name}`));
    const channels = { jail: 'from inside the jail', credentials: "by HTTP_PROXY with a run's credentials" } as const;
    for (const channel of ['jail', 'credentials'] as const) {
      test.serial(`${client.name} notices nothing ${channels[channel]}, and shows why it is refused`, async (t) => {
        t.timeout(150_000);
        const start = before(scene, client);
        const driven = await drive(t, scene, work, client, channel);
        const found = await findings(scene, client, channel, driven, start);
        t.is(found.length, 0, `\n- ${found.join('\n- ')}\n`);
      });
    }
  }
}
