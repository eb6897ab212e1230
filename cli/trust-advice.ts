/** What an agent outside of a jail has to be given so that it believes the authority of `sallyport ca export`. */

/** Those that take a file in place of the public roots, and so need both in one. */
const wholeBundle: readonly string[] = ['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'PIP_CERT', 'GIT_SSL_CAINFO', 'CARGO_HTTP_CAINFO', 'AWS_CA_BUNDLE', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'];

/**
 * Lines for a person; `data` where the data folder was named. Only Node adds a file to its roots; everybody else replaces them by it. Java, browsers, wget and Deno read no such variable.
 */
export function trustAdvice(data: string | undefined): readonly string[] {
  return [
    'TLS of this run is looked into, so the agent has to trust our authority (of each machine that serves it):',
    `  sallyport ca export${data === undefined ? '' : ` --data '${data.replaceAll("'", String.raw`'\''`)}'`} --out sallyport-ca.pem`,
    '  cat /etc/ssl/certs/ca-certificates.crt sallyport-ca.pem > bundle.pem    # Debian\'s public roots; other systems keep them elsewhere',
    '  Node takes ours alone: export NODE_EXTRA_CA_CERTS="$PWD/sallyport-ca.pem"',
    '  All others need the public roots and ours in one file:',
    `  export ${wholeBundle.map((name) => `${name}="$PWD/bundle.pem"`).join(' ')}`,
    '  Java: keytool -importcert -noprompt -cacerts -storepass changeit -alias sallyport -file sallyport-ca.pem',
    '  wget, Deno (with DENO_TLS_CA_STORE=system): put sallyport-ca.pem into the system\'s store.',
    '  Chromium: its policy CACertificates (base64 of DER) in /etc/chromium/policies/managed/.',
  ];
}
