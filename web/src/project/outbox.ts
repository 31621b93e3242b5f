// What waits to be saved, kept where neither a reload nor a closed tab loses it.

import type { Annotations } from "./store";

export interface Waiting {
  image: string;
  /** what the image was when these changes began */
  base: Annotations;
  mine: Annotations;
}

export interface Outbox {
  all(): Promise<Waiting[]>;
  put(waiting: Waiting): Promise<void>;
  remove(image: string): Promise<void>;
}

export class MemoryOutbox implements Outbox {
  private readonly kept = new Map<string, Waiting>();

  async all(): Promise<Waiting[]> {
    return [...this.kept.values()];
  }

  async put(waiting: Waiting): Promise<void> {
    this.kept.set(waiting.image, waiting);
  }

  async remove(image: string): Promise<void> {
    this.kept.delete(image);
  }
}

const TABLE = "waiting";

/** In IndexedDB, one database for each project of this address. */
export class BrowserOutbox implements Outbox {
  private constructor(private readonly database: IDBDatabase) {}

  /** A MemoryOutbox where the browser keeps nothing, as in some private windows. */
  static async open(project: string): Promise<Outbox> {
    try {
      const opening = indexedDB.open(`samlet-outbox-${project}`, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "image" });
      return new BrowserOutbox(await settled(opening));
    } catch {
      return new MemoryOutbox();
    }
  }

  all(): Promise<Waiting[]> {
    return settled(this.table("readonly").getAll() as IDBRequest<Waiting[]>);
  }

  async put(waiting: Waiting): Promise<void> {
    await settled(this.table("readwrite").put(waiting));
  }

  async remove(image: string): Promise<void> {
    await settled(this.table("readwrite").delete(image));
  }

  private table(mode: IDBTransactionMode): IDBObjectStore {
    return this.database.transaction(TABLE, mode, { durability: "strict" }).objectStore(TABLE);
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's database does not answer."));
  });
}
