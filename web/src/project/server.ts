// The project in the server's folder.

import { EngineError } from "../engine/engine";
import { request, requestJson, sending } from "../http";
import {
  type Annotations,
  ConflictError,
  type ExportFormat,
  type Label,
  type Project,
  type ProjectImage,
  type ProjectStore,
} from "./store";

type Added = { images: ProjectImage[]; refused: { name: string; error: string }[] };

export class ServerStore implements ProjectStore {
  readonly name = "server";
  readonly formats: readonly ExportFormat[] = [
    "coco",
    "coco-polygons",
    "yolo",
    "labelme",
    "masks",
    "label-map",
    "cutouts",
    "geojson",
    "sa1b",
  ];

  load(): Promise<Project> {
    return requestJson("api/project");
  }

  saveLabels(labels: Label[], renamed?: { from: string; to: string }): Promise<Project> {
    return requestJson("api/project", sending("PUT", { labels, renamed: renamed ?? null }));
  }

  async addImages(files: File[]): Promise<Added> {
    const added: Added = { images: [], refused: [] };
    for (const file of files) {
      try {
        const query = new URLSearchParams({ name: file.name });
        const init = { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } };
        added.images.push(await requestJson<ProjectImage>(`api/images?${query}`, init));
      } catch (error) {
        if (!(error instanceof EngineError) || error.away) throw error;
        added.refused.push({ name: file.name, error: error.message });
      }
    }
    return added;
  }

  async removeImage(id: string): Promise<void> {
    await request(`api/images/${id}`, { method: "DELETE" });
  }

  async size(id: string): Promise<[number, number]> {
    const { size } = await requestJson<ProjectImage>(`api/images/${id}`);
    if (!size) throw new EngineError("The server does not know the size of this image.", 500);
    return size;
  }

  async pixels(id: string, maxSide?: number, signal?: AbortSignal): Promise<Blob> {
    const query = maxSide ? `?max_side=${maxSide}` : "";
    return (await request(`api/images/${id}/pixels${query}`, { signal })).blob();
  }

  annotations(id: string): Promise<Annotations> {
    return requestJson(`api/images/${id}/annotations`);
  }

  async saveAnnotations(id: string, annotations: Annotations): Promise<number> {
    try {
      const path = `api/images/${id}/annotations`;
      return (await requestJson<{ revision: number }>(path, sending("PUT", annotations))).revision;
    } catch (error) {
      if (error instanceof EngineError && error.status === 409) throw new ConflictError(await this.annotations(id));
      throw error;
    }
  }

  async exportFiles(formats: ExportFormat[], images?: string[]): Promise<{ name: string; content: Blob }> {
    const response = await request("api/export", sending("POST", { formats, images: images ?? null }));
    const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
    return { name: named?.[1] ?? "samlet-export.zip", content: await response.blob() };
  }

  importFile(file: File): Promise<{ images: string[]; masks: number; message: string }> {
    const query = new URLSearchParams({ name: file.name });
    const init = { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } };
    return requestJson(`api/import?${query}`, init);
  }
}
