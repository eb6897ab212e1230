import { exportLineMaxBytes } from '../../contracts/export.ts';
import { LineSplitter } from '../../contracts/lines.ts';
import { ExportVerifier, type Pinned, type VerificationReport } from '../../contracts/verify.ts';

/** Verifies an export as it comes, in memory of one entry. */
export async function verifyStream(chunks: AsyncIterable<Buffer>, pinned: Pinned): Promise<VerificationReport> {
  const verifier = new ExportVerifier(pinned);
  const splitter = new LineSplitter(exportLineMaxBytes);
  try {
    for await (const chunk of chunks) for (const line of splitter.push(chunk)) verifier.line(line);
  } catch (error) {
    // A line that is no text, or without end: what came before it is judged, and that it broke off is a finding.
    if (error instanceof TypeError) return verifier.finish(false);
    throw error;
  }
  return verifier.finish(splitter.unfinished === 0);
}
