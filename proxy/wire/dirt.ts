const clean = /^[\t -~\x80-\xff]*(?:\r\n(?![ \t])[\t -~\x80-\xff]*)*$/;

/**
 * Whether a head or a field has what another reader could take for an end of line or of text: controls but HTAB, lone CR, lone LF,
 * obs-fold (RFC 9112, sections 2.2 and 5.2; RFC 9110, section 5.5). Put as what is clean: looking for dirt takes twice as long.
 */
export function isDirty(text: string): boolean {
  return !clean.test(text);
}
