/** The one array of a safetensors file that holds float32 numbers: eight bytes that say how long the header is, the header as JSON, the numbers. */
export function readFloats(file: ArrayBuffer, name: string): { data: Float32Array; shape: number[] } {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Record<
    string,
    Tensor | undefined
  >;
  const tensor = header[name];
  if (tensor?.dtype !== "F32") throw new Error(`The file holds no float32 numbers called ${name}.`);
  const [start, end] = tensor.data_offsets;
  return { data: new Float32Array(file.slice(8 + length + start, 8 + length + end)), shape: tensor.shape };
}

interface Tensor {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
