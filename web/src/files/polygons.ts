// Masks as the polygons of other programs: parts with their holes, and holes reached over bridges of no width where a
// format knows none.

import type { Rle } from "../engine/engine";
import { distance, type Point, type Ring, simplify, trace } from "../mask/outline";

const TOLERANCE_PX = 1;
const LEAST_CORNERS = 3;

/** One connected part: its outer ring, then the rings of its holes. */
export type Polygon = Ring[];

/** The parts of a mask, largest outline first. No corner that is left out is farther than `tolerance` from a ring. */
export function polygonsOf(rle: Rle, tolerance = TOLERANCE_PX): Polygon[] {
  const rings = trace(rle);
  const outer = rings.filter((ring) => signedArea(ring) > 0).sort((one, other) => signedArea(other) - signedArea(one));
  const polygons = outer.map((ring) => ({ ring, holes: [] as Ring[] }));
  for (const hole of rings.filter((ring) => signedArea(ring) <= 0)) {
    const inside = beside(hole);
    const around = polygons.filter(({ ring }) => contains(ring, inside));
    around[around.length - 1].holes.push(hole); // the smallest: a part may lie in the hole of another
  }
  return polygons.map(({ ring, holes }) => [
    simple(ring, tolerance) ?? ring,
    ...holes.map((hole) => simple(hole, tolerance)).filter((hole) => hole !== null),
  ]);
}

/** A polygon as a single ring: each hole is reached over a bridge of no width, walked there and back. */
export function asOneRing([ring, ...holes]: Polygon): Ring {
  const leftmost = (hole: Ring) => Math.min(...hole.map(([x]) => x));
  return joined([ring, ...holes.sort((one, other) => leftmost(one) - leftmost(other))]);
}

/** Several rings as one, over such bridges. */
export function joined(rings: readonly Ring[]): Ring {
  return rings.reduce((ring, other) => {
    let [here, there, least] = [0, 0, Infinity];
    ring.forEach((corner, k) =>
      other.forEach((each, j) => {
        const apart = distance(corner, each);
        if (apart < least) [here, there, least] = [k, j, apart];
      }),
    );
    const roundTrip = [...other.slice(there), ...other.slice(0, there), other[there]];
    return [...ring.slice(0, here + 1), ...roundTrip, ...ring.slice(here)];
  });
}

function simple(ring: Ring, tolerance: number): Ring | null {
  const made = tolerance > 0 ? simplify(ring, tolerance) : ring;
  return made.length >= LEAST_CORNERS && signedArea(made) !== 0 ? made : null;
}

/** The area inside a ring; negative where it runs around a hole. */
function signedArea(ring: Ring): number {
  const doubled = ring.reduce((sum, [x, y], k) => {
    const [nextX, nextY] = ring[(k + 1) % ring.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return doubled / 2;
}

/** A place inside the mask beside a ring, which has the mask to its right. */
function beside([[x, y], [nextX, nextY]]: Ring): Point {
  const [dx, dy] = [Math.sign(nextX - x), Math.sign(nextY - y)];
  return [x + (dx - dy) / 2, y + (dy + dx) / 2];
}

function contains(ring: Ring, [x, y]: Point): boolean {
  let inside = false;
  ring.forEach(([x0, y0], k) => {
    const [x1, y1] = ring[(k + 1) % ring.length];
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) inside = !inside;
  });
  return inside;
}
