// Files in one archive, as they are: what is large in it is packed already.

import { crc32, numbers } from "./bytes";

export interface NamedFile {
  /** a path with `/` */
  name: string;
  content: Blob;
}

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const DATE = (46 << 9) | (1 << 5) | 1; // 2026-01-01: the same files make the same archive

export async function zipOf(files: readonly NamedFile[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let [place, listed] = [0, 0];
  for (const { name, content } of files) {
    const path = new TextEncoder().encode(name);
    const bytes = new Uint8Array(await content.arrayBuffer());
    const facts: [2 | 4, number][] = [
      [2, UTF8_NAMES],
      [2, 0],
      [2, 0],
      [2, DATE],
      [4, crc32(bytes)],
      [4, bytes.length],
      [4, bytes.length],
      [2, path.length],
      [2, 0],
    ];
    const header = numbers(true, [4, 0x04034b50], [2, VERSION], ...facts);
    const entry = numbers(
      true,
      [4, 0x02014b50],
      [2, VERSION],
      [2, VERSION],
      ...facts,
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, place],
    );
    parts.push(header, path, bytes);
    directory.push(entry, path);
    place += header.length + path.length + bytes.length;
    listed += entry.length + path.length;
  }
  const count = files.length;
  const end = numbers(true, [4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, listed], [4, place], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
