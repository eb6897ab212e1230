/**
 * Whether a head or a field has what another reader could take for an end of line or of text: controls but HTAB, lone CR, lone LF,
 * obs-fold (RFC 9112, sections 2.2 and 5.2; RFC 9110, section 5.5). A loop, because a regular expression that looks behind and ahead
 * takes five times as long.
 */
export function isDirty(text: string): boolean {
  const { length } = text;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 31 && code !== 127) continue;
    switch (code) {
      case 9:
        break;
      case 13: {
        if (text.charCodeAt(at + 1) !== 10) return true;
        const next = text.charCodeAt(at + 2);
        if (next === 32 || next === 9) return true;
        // The LF is judged with its CR.
        at++;
        break;
      }
      default:
        return true;
    }
  }
  return false;
}
