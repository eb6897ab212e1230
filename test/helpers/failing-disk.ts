import { localDisk, type Disk } from '../../proxy/record/segment-file.ts';

/** A disk that works until told otherwise. `writesPart`: how much of a failing write arrives all the same, as on a disk that fills up. */
export interface FailingDisk extends Disk {
  failure: string | undefined;
  writesPart: number;
  /** Also cutting off what a failed write left behind fails. */
  failsToTruncate: boolean;
  /** Only the next sync fails, though what was to be synced has been written. */
  failsToSync: boolean;
  writes: number;
}

export function failingDisk(): FailingDisk {
  const error = (code: string): Error => Object.assign(new Error(code), { code });
  const disk: FailingDisk = {
    ...localDisk,
    failure: undefined,
    writesPart: 0,
    failsToTruncate: false,
    failsToSync: false,
    writes: 0,
    async create(path) {
      if (disk.failure !== undefined) throw error(disk.failure);
      return await localDisk.create(path);
    },
    async write(fd, bytes, position) {
      disk.writes++;
      if (disk.failure === undefined) return void await localDisk.write(fd, bytes, position);
      await localDisk.write(fd, bytes.subarray(0, Math.min(disk.writesPart, bytes.length)), position);
      throw error(disk.failure);
    },
    async sync(fd) {
      if (!disk.failsToSync) return await localDisk.sync(fd);
      disk.failsToSync = false;
      throw error('EIO');
    },
    async truncate(fd, length) {
      if (disk.failsToTruncate) throw error('EIO');
      await localDisk.truncate(fd, length);
    },
  };
  return disk;
}
