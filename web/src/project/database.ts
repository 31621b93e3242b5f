// The browser's own database, as promises: four tables of an annotation project.

const NAME = "samlet";
const VERSION = 1;

/** `facts`: what there is one of; `images`, `files` and `annotations`: by the id of the image. */
export const TABLES = ["facts", "images", "files", "annotations"] as const;
export type Table = (typeof TABLES)[number];

/** What a transaction can do: all of it happens, or nothing. */
export interface Access {
  get<Value>(table: Table, key: string): Promise<Value | undefined>;
  all<Value>(table: Table): Promise<Value[]>;
  put(table: Table, key: string, value: unknown): Promise<void>;
  remove(table: Table, key: string): Promise<void>;
}

export class Database {
  private constructor(private readonly database: IDBDatabase) {}

  /** Open the database of this site. Error with one sentence where the browser gives none, as in some private windows. */
  static open(factory: IDBFactory = indexedDB, name = NAME): Promise<Database> {
    return new Promise((resolve, reject) => {
      const request = factory.open(name, VERSION);
      request.onupgradeneeded = () => TABLES.forEach((table) => request.result.createObjectStore(table));
      request.onsuccess = () => resolve(new Database(request.result));
      request.onerror = () => reject(new Error("The browser keeps nothing for this page: leave the private window."));
    });
  }

  /** Work that takes place as a whole; an error undoes all of it. `work` must wait for nothing but its access. */
  async run<Result>(mode: "readonly" | "readwrite", work: (access: Access) => Promise<Result>): Promise<Result> {
    const transaction = this.database.transaction(TABLES, mode);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(transaction.error));
    });
    done.catch(() => {}); // told below
    try {
      const result = await work(accessTo(transaction));
      await done;
      return result;
    } catch (error) {
      if (transaction.error === null) {
        try {
          transaction.abort();
        } catch {
          // it has ended already
        }
      }
      throw error;
    }
  }
}

function accessTo(transaction: IDBTransaction): Access {
  const of = (table: Table) => transaction.objectStore(table);
  return {
    get: (table, key) => answered(of(table).get(key)),
    all: (table) => answered(of(table).getAll()),
    put: async (table, key, value) => void (await answered(of(table).put(value, key))),
    remove: (table, key) => answered(of(table).delete(key)),
  };
}

function answered<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failure(request.error));
  });
}

function failure(error: DOMException | null): Error {
  if (error?.name === "QuotaExceededError") {
    return new Error("The browser has no more room for this page: export what is done and remove some images.");
  }
  return new Error(`The browser could not keep this: ${error?.message ?? "the work was broken off"}.`);
}
