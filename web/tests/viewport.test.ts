import { expect, it } from "vitest";
import { fit, panBy, toImage, toScreen, zoomAt } from "../src/view/viewport";

const IMAGE = { width: 4000, height: 3000 };
const SCREEN = { width: 800, height: 600 };

it("fits the image in the middle", () => {
  const view = fit(IMAGE, SCREEN, { top: 0, right: 0, bottom: 0, left: 0 });
  expect(view).toEqual({ scale: 0.2, x: 0, y: 0 });
  expect(toScreen(view, toImage(view, [123, 45]))).toEqual([expect.closeTo(123), expect.closeTo(45)]);
});

it("zooms about the pointer, within limits", () => {
  const view = fit(IMAGE, SCREEN);
  const before = toImage(view, [300, 200]);
  const closer = zoomAt(view, 3, [300, 200], IMAGE, SCREEN);
  expect(toImage(closer, [300, 200])).toEqual([expect.closeTo(before[0]), expect.closeTo(before[1])]);
  expect(zoomAt(view, 1e9, [300, 200], IMAGE, SCREEN).scale).toBe(40);
  expect(zoomAt(view, 1e-9, [300, 200], IMAGE, SCREEN).scale).toBeCloseTo(view.scale / 4);
});

it("keeps some of the image in sight", () => {
  const view = panBy(fit(IMAGE, SCREEN), 1e6, -1e6, IMAGE, SCREEN);
  expect(view.x).toBe(SCREEN.width - 64);
  expect(view.y + IMAGE.height * view.scale).toBeCloseTo(64);
});

it("does not enlarge a tiny image beyond measure", () => {
  expect(fit({ width: 2, height: 2 }, SCREEN).scale).toBe(8);
});
