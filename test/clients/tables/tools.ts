import type { Client, Expected, Place } from '../client.ts';
import { curl } from './curl.ts';

const get = (target: string): Expected => ({ method: 'GET', target });

const wget: Client = {
  name: 'wget',
  needs: ['program wget'],
  reveals: { jail: ['proxy-connection'], credentials: ['proxy-connection'] },
  steps: [
    {
      title: 'a page',
      command: ({ url, trust }) => `wget -nv -O - ${option('--ca-certificate', trust)} '${url}/page?x=1'`,
      prints: 'the page\n',
      seen: () => [{ ...get('/page?x=1'), version: '1.1' }],
    },
    {
      title: 'an upload',
      command: ({ url, trust }) => `printf words > words && wget -nv -O - ${option('--ca-certificate', trust)} --post-file=words '${url}/upload'`,
      prints: / 5\n$/,
      seen: () => [{ method: 'POST', target: '/upload', version: '1.1', body: 'words' }],
    },
  ],
  refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url, trust }) => `wget -O - ${option('--ca-certificate', trust)} '${url}/page'` }],
  documentation: { proxy: 'nothing', trust: '`--ca-certificate`, or the bundle of the system', refusal: 'the status line; the body with `--content-on-error`' },
};

const option = (name: string, value: string | undefined): string => value === undefined ? '' : `${name}="${value}"`;

const git: Client = {
  name: 'git',
  needs: ['program git'],
  steps: [
    {
      title: 'a clone',
      command: ({ url, way }) => `git clone -q '${url}/git/site.git' ${way} && cat ${way}/README`,
      prints: 'from the origin\n',
      seen: () => [get('/git/site.git/info/refs?service=git-upload-pack'), { method: 'POST', target: '/git/site.git/git-upload-pack' }, { method: 'POST', target: '/git/site.git/git-upload-pack' }],
    },
    {
      title: 'a push',
      command: ({ way, channel }) => `cd ${way} && date > file && git add file && git -c user.name=t -c user.email=t@site.test commit -qm more && git push --porcelain origin HEAD:refs/heads/${way}-${channel}`,
      prints: /\[new branch\]\nDone/,
      seen: () => [get('/git/site.git/info/refs?service=git-receive-pack'), { method: 'POST', target: '/git/site.git/git-receive-pack' }],
    },
  ],
  refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => `git ls-remote '${url}/git/site.git'` }],
  documentation: { proxy: 'nothing', trust: '`GIT_SSL_CAINFO`', refusal: 'lines that begin with `remote:`' },
};

const npm: Client = {
  name: 'npm',
  needs: ['program npm'],
  steps: [{
    title: 'an installation',
    command: ({ url, way }) => `mkdir ${way} && cd ${way} && echo '{}' > package.json && ${npmCommand(url)} && node -p "require('tiny')"`,
    prints: 'tiny from npm\n',
    seen: () => [get('/npm/tiny'), get('/npm/tiny/-/tiny-1.0.0.tgz')],
  }],
  refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => `mkdir refused && cd refused && echo '{}' > package.json && ${npmCommand(url)}` }],
  documentation: { proxy: 'nothing', trust: '`NODE_EXTRA_CA_CERTS`, or the setting `cafile`', refusal: 'the status line, as `npm error 403`' },
};
const npmCommand = (url: string): string => `npm install --no-audit --no-fund --no-update-notifier --cache ./cache --registry='${url}/npm/' tiny@1.0.0`;

const pip: Client = {
  name: 'pip',
  needs: ['program python3', 'program pip'],
  steps: [{
    title: 'an installation',
    command: ({ url, way, host }) => `${pipCommand(url)} -q --target ${way} ${way === 'plain' ? `--trusted-host ${host}` : ''} && PYTHONPATH=${way} python3 -c 'import tiny'`,
    prints: 'tiny from pip\n',
    seen: () => [get('/simple/tiny/'), get('/wheels/tiny-1.0-py3-none-any.whl')],
  }],
  refusals: [
    { title: 'an index that nothing allows', of: 'host', command: ({ url }) => `${pipCommand(url)} -vv --target refused` },
    { title: 'a wheel that nothing allows', of: 'host', command: ({ url }) => `${pipInstall} --target refused '${url}/wheels/tiny-1.0-py3-none-any.whl'` },
  ],
  documentation: { proxy: 'nothing', trust: '`PIP_CERT`, or `REQUESTS_CA_BUNDLE`', refusal: 'the status line; of an index with `-vv` alone, else pip says that it found no version' },
};
const pipInstall = '/usr/bin/python3 -m pip install --disable-pip-version-check --no-cache-dir --no-deps';
const pipCommand = (url: string): string => `${pipInstall} --index-url '${url}/simple/' tiny`;

/** A root of its own, so that nothing of the machine's settings counts and nobody has to be root. */
const apt = ({ url, way, trust }: Place, command: string): string => [
  `root="$WORK/${way}"`,
  'mkdir -p "$root/etc/apt/apt.conf.d" "$root/etc/apt/preferences.d" "$root/etc/apt/trusted.gpg.d" "$root/var/lib/apt/lists/partial" "$root/var/cache/apt/archives/partial" "$root/var/lib/dpkg"',
  '> "$root/var/lib/dpkg/status"',
  `echo 'deb [trusted=yes arch=all] ${url}/debian stable main' > "$root/etc/apt/sources.list"`,
  `printf 'Dir "%s";\\nAPT::Sandbox::User "%s";\\nAcquire::Languages "none";\\n' "$root" "$(id -un)" > "$root/apt.conf"`,
  ...(trust === undefined ? [] : [`echo "Acquire::https::CaInfo \\"${trust}\\";" >> "$root/apt.conf"`]),
  'export APT_CONFIG="$root/apt.conf"',
  command,
].join('\n');

const aptGet: Client = {
  name: 'apt',
  needs: ['program apt-get', 'program dpkg-deb'],
  // It gives the credentials of its proxy to every origin, in a tunnel too.
  reveals: { credentials: ['proxy-authorization'] },
  steps: [{
    title: 'an update and a download',
    command: (place) => apt(place, `apt-get -q update && cd ${place.way} && apt-get -q download tiny && dpkg-deb -x tiny_1.0_all.deb out && cat out/usr/share/tiny/hello`),
    prints: /tiny from apt\n$/,
    seen: () => [
      get('/debian/dists/stable/InRelease'), get('/debian/dists/stable/Release'), get('/debian/dists/stable/Release.gpg'),
      get('/debian/dists/stable/main/binary-all/Packages'), get('/debian/pool/tiny.deb'),
    ],
  }],
  refusals: [{ title: 'a host that nothing allows', of: 'host', tries: 'several', command: (place) => apt(place, 'rm -rf "$root/var/lib/apt/lists" && mkdir -p "$root/var/lib/apt/lists/partial" && apt-get -q update') }],
  documentation: { proxy: 'nothing', trust: '`Acquire::https::CaInfo`, or the bundle of the system', refusal: 'the status line, as `Err:` and `E: Failed to fetch`' },
};

export const tools: readonly Client[] = [curl, wget, git, npm, pip, aptGet];
