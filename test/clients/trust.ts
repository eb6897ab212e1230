/**
 * The variables by which clients are told of a bundle of authorities (PEM). In a jail Sallyport sets those that it needs itself;
 * here they say what a person sets: outside of a jail, and for an origin whose authority is nobody else's business.
 */
export function trustVariables(file: string): Readonly<Record<string, string>> {
  return {
    SSL_CERT_FILE: file,
    CURL_CA_BUNDLE: file,
    REQUESTS_CA_BUNDLE: file,
    PIP_CERT: file,
    GIT_SSL_CAINFO: file,
    NODE_EXTRA_CA_CERTS: file,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: file,
  };
}
