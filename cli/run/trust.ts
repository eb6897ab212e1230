import type { JailSpecInput } from '../../contracts/jail.ts';

/** For the jail of a run: where TLS is looked into, it trusts what signs there. Throws `authority`. */
export async function trustFor({ intercept }: { readonly intercept: boolean }, dataFolder: string): Promise<Pick<JailSpecInput, 'trust'>> {
  if (!intercept) return {};
  const { readTrusted } = await import('../../proxy/intercept/authority/authorities.ts');
  return { trust: { ca: readTrusted(dataFolder) } };
}
