// What PNG files and zip archives have in common.

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of the ZIP and PNG formats. */
export function crc32(...parts: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) for (const byte of part) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Whole numbers of 1, 2 or 4 bytes, one after the other. */
export function numbers(
  littleEndian: boolean,
  ...fields: readonly [bytes: 1 | 2 | 4, value: number][]
): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(fields.reduce((sum, [bytes]) => sum + bytes, 0));
  const view = new DataView(made.buffer);
  let place = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 1) view.setUint8(place, value);
    else if (bytes === 2) view.setUint16(place, value, littleEndian);
    else view.setUint32(place, value, littleEndian);
    place += bytes;
  }
  return made;
}
