// Uppy with its Tus plugin, as its documentation shows it, for a page of another origin than the service's.
import Uppy from '@uppy/core';
import Tus from '@uppy/tus';

globalThis.send = (endpoint, token, name, content) => {
  const uppy = new Uppy({ autoProceed: false }).use(Tus, {
    endpoint,
    headers: { authorization: `Bearer ${token}` },
    chunkSize: 512 * 1024,
    retryDelays: Array(30).fill(500),
    allowedMetaFields: ['name', 'type'],
  });
  globalThis.progress = 0;
  uppy.on('upload-progress', (_file, { bytesUploaded }) => {
    globalThis.progress = Math.max(globalThis.progress, bytesUploaded);
  });
  uppy.addFile({ name, type: 'text/csv', data: new Blob([content], { type: 'text/csv' }) });
  return uppy.upload().then(({ successful, failed }) => ({
    urls: successful.map((file) => file.uploadURL),
    failed: failed.map((file) => file.error),
  }));
};
