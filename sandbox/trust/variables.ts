/** In the jail, in a folder of our own: public authorities and ours, and ours alone. */
export const trustedBundle = '/etc/sallyport/trusted.pem';
export const ownAuthorities = '/etc/sallyport/ca.pem';
export const trustedKeystore = '/etc/sallyport/cacerts';

/**
 * For clients that bring authorities of their own, or look elsewhere than the system does. Only Node adds to what it has (npm,
 * Deno and Bun read that one too); every other variable replaces, so it names the public authorities and ours.
 */
export const trustVariables: Readonly<Record<string, string>> = {
  NODE_EXTRA_CA_CERTS: ownAuthorities,
  // OpenSSL, and with it Python, Ruby, PHP; Go, rustls-native-certs, httpx, uv and .NET heed it as well.
  SSL_CERT_FILE: trustedBundle,
  REQUESTS_CA_BUNDLE: trustedBundle,
  PIP_CERT: trustedBundle,
  CURL_CA_BUNDLE: trustedBundle,
  GIT_SSL_CAINFO: trustedBundle,
  CARGO_HTTP_CAINFO: trustedBundle,
  AWS_CA_BUNDLE: trustedBundle,
  // grpcio and grpc-js.
  GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: trustedBundle,
  DENO_TLS_CA_STORE: 'system',
};

/** A Java's own store may lie anywhere, in the work folder too. */
export const trustJavaOptions: readonly string[] = [`-Djavax.net.ssl.trustStore=${trustedKeystore}`, '-Djavax.net.ssl.trustStorePassword=changeit'];
