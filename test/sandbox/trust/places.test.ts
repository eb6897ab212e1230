import test from 'ava';
import { trustPlaces, type Resolve } from '../../../sandbox/trust/places.ts';

/** A host by its files, and its links with what they say in the end. */
const host = (...paths: readonly (string | readonly [link: string, real: string])[]): Resolve => {
  const known = new Map(paths.map((path) => (typeof path === 'string' ? [path, path] : path)));
  return (path) => {
    for (let head = path; head !== ''; head = head.slice(0, head.lastIndexOf('/'))) {
      const real = known.get(head);
      if (real !== undefined) return real === head ? (known.has(path) ? path : undefined) : known.get(`${real}${path.slice(head.length)}`);
    }
    return undefined;
  };
};

const settings = ['/etc/ssl/certs', '/etc/ssl/openssl.cnf', '/etc/ca-certificates', '/etc/pki/tls/certs', '/etc/pki/ca-trust/extracted'];
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';
const extracted = '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem';

const hosts: readonly { readonly name: string; readonly resolve: Resolve; readonly publicBundle: string | undefined; readonly bundles: readonly string[]; readonly keystores: readonly string[]; readonly free: readonly string[] }[] = [
  {
    name: 'Debian', resolve: host('/etc/ssl/certs', systemBundle, '/etc/ssl/certs/java', '/etc/ssl/certs/java/cacerts', '/etc/ssl/openssl.cnf', '/etc/ca-certificates'),
    publicBundle: systemBundle, bundles: [systemBundle], keystores: ['/etc/ssl/certs/java/cacerts'], free: [extracted, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'Alpine', resolve: host('/etc/ssl/certs', systemBundle, ['/etc/ssl/cert.pem', systemBundle]),
    publicBundle: systemBundle, bundles: [systemBundle], keystores: [], free: [extracted, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'Arch', resolve: host('/etc/ssl/certs', [systemBundle, '/etc/ca-certificates/extracted/tls-ca-bundle.pem'], '/etc/ca-certificates', '/etc/ca-certificates/extracted/tls-ca-bundle.pem'),
    publicBundle: systemBundle, bundles: ['/etc/ca-certificates/extracted/tls-ca-bundle.pem'], keystores: [], free: [extracted, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'Fedora', resolve: host(
      ['/etc/ssl/certs', '/etc/pki/tls/certs'], '/etc/pki/tls/certs', ['/etc/pki/tls/certs/ca-bundle.crt', extracted], '/etc/pki/ca-trust/extracted', extracted,
      '/etc/pki/ca-trust/extracted/java/cacerts', ['/etc/pki/tls/cert.pem', extracted],
    ),
    publicBundle: extracted, bundles: [extracted], keystores: ['/etc/pki/ca-trust/extracted/java/cacerts'], free: ['/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'one whose folder is a link to another that is bound as well', resolve: host(['/etc/ssl/certs', '/etc/pki/tls/certs'], '/etc/pki/tls/certs', '/etc/pki/tls/certs/ca-bundle.crt'),
    publicBundle: '/etc/pki/tls/certs/ca-bundle.crt', bundles: ['/etc/ssl/certs/ca-bundle.crt', '/etc/pki/tls/certs/ca-bundle.crt'], keystores: [], free: [extracted, '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'one whose bundle lies where the jail sees nothing', resolve: host('/etc/ssl/certs', [systemBundle, '/var/lib/ca/all.pem'], '/var/lib/ca/all.pem'),
    publicBundle: systemBundle, bundles: [], keystores: [], free: [extracted, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
  {
    name: 'one without any', resolve: host(),
    publicBundle: undefined, bundles: [], keystores: [], free: [systemBundle, extracted, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem'],
  },
];
for (const { name, resolve, publicBundle, bundles, keystores, free } of hosts) {
  test(`each place where programs look is covered or linked: ${name}`, (t) => {
    t.deepEqual(trustPlaces(settings, resolve), { publicBundle, covered: { bundles, keystores }, free });
  });
}
