/** What a stranger finds in the editors at first. */

export const WELCOME_QUERY = `# Welcome to Cairn.
# The play button runs one of these operations.
#
# 1. Sign up; or log in, with an account that is there.
mutation SignUp {
  signup(input: {
    username: "ada"
    email: "ada@example.org"
    password: "make up a long sentence"
  }) {
    accessToken
    expiresAt
    user { id username }
    problems { code message path }
  }
}

mutation LogIn {
  login(input: {
    username: "ada"
    password: "make up a long sentence"
  }) {
    accessToken
    expiresAt
    problems { code message path }
  }
}

# 2. Paste the accessToken into "Headers" below,
#    after "Bearer ".
query Viewer {
  viewer { id username createdAt }
}

# 3. Open "Upload" (the arrow on the left), choose a file
#    and press "Send".
mutation UploadFile($input: UploadFileInput!) {
  uploadFile(input: $input) {
    file { id name size mediaType digest downloadUrl }
    problems { code message path }
  }
}

# 4. Find it again. A downloadUrl works for five minutes.
query Files {
  files(
    first: 10
    orderBy: {field: CREATED_AT, direction: DESC}
  ) {
    totalCount
    edges {
      node { id name size mediaType createdAt downloadUrl }
    }
    pageInfo { hasNextPage endCursor }
  }
}

# 5. Watch what happens to your files, until you press
#    the button again. Send one meanwhile.
subscription Watch {
  fileChanged {
    kind
    happenedAt
    file { id name size }
  }
}
`;

export const WELCOME_HEADERS = `{
  "Authorization": "Bearer "
}
`;

/** What the upload panel adds to a document that has no operation for the chosen files. */
export const UPLOAD_ONE = `mutation UploadFile($input: UploadFileInput!) {
  uploadFile(input: $input) {
    file { id name size mediaType digest downloadUrl }
    problems { code message path }
  }
}
`;

export const UPLOAD_SEVERAL = `mutation UploadFiles($input: UploadFilesInput!) {
  uploadFiles(input: $input) {
    results {
      file { id name size mediaType digest downloadUrl }
      problems { code message path }
    }
    problems { code message path }
  }
}
`;
