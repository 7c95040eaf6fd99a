import 'graphiql/setup-workers/vite';
// Not graphiql/style.css: that one carries 600 KB of fonts; the system's own do as well.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { fetcher } from './fetcher';
import { UPLOAD_PLUGIN } from './upload';
import { WELCOME_HEADERS, WELCOME_QUERY } from './welcome';

// What people type here holds passwords and tokens. So it is kept for this tab of the browser and forgotten with it,
// and GraphiQL's history is left out: it would keep the headers of every request, whatever the settings say.
const page = (
  <GraphiQL
    fetcher={fetcher}
    plugins={[UPLOAD_PLUGIN]}
    defaultQuery={WELCOME_QUERY}
    defaultHeaders={WELCOME_HEADERS}
    defaultEditorToolsVisibility="headers"
    storage={window.sessionStorage}
  >
    <GraphiQL.Logo>Cairn</GraphiQL.Logo>
  </GraphiQL>
);

createRoot(document.getElementById('page')!).render(page);
