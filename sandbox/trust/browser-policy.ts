/** Where Chromium and its kin look for their administrator's policy: Debian's and Playwright's; Google's own; Ubuntu's and older ones. */
export const browserPolicies: readonly string[] = ['chromium', 'opt/chrome', 'chromium-browser'].map((name) => `/etc/${name}/policies/managed/sallyport.json`);

/** Chromium has authorities of its own and reads no file of the system's; `CACertificates` adds to them (Chrome 128 and later). */
export function browserPolicy(certificates: readonly Buffer[]): string {
  return JSON.stringify({ CACertificates: certificates.map((certificate) => certificate.toString('base64')) });
}
