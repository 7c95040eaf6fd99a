/** What a stranger finds in the editors at first. */

export const WELCOME_QUERY = `# Welcome to Cairn. Put the cursor into an operation and press the play button (or Ctrl-Enter).
#
# 1. Sign up, or log in if you have an account. The answer holds an accessToken.
mutation SignUp {
  signup(input: {username: "ada", email: "ada@example.org", password: "a long sentence is a good one"}) {
    accessToken
    expiresAt
    user { id username }
    problems { code message path }
  }
}

mutation LogIn {
  login(input: {username: "ada", password: "a long sentence is a good one"}) {
    accessToken
    expiresAt
    problems { code message path }
  }
}

# 2. Paste the token into "Headers" below: {"Authorization": "Bearer …"}. Now the service knows you.
query Viewer {
  viewer { id username createdAt }
}

# 3. Upload: open "Upload" in the bar on the left, choose a file, press "Send".
mutation UploadFile($input: UploadFileInput!) {
  uploadFile(input: $input) {
    file { id name size mediaType digest downloadUrl }
    problems { code message path }
  }
}

# 4. Find your files again. A downloadUrl opens in any browser for five minutes.
query Files {
  files(first: 10, orderBy: {field: CREATED_AT, direction: DESC}) {
    totalCount
    edges { node { id name size mediaType createdAt downloadUrl } }
    pageInfo { hasNextPage endCursor }
  }
}
`;

export const WELCOME_HEADERS = `{
  // "Authorization": "Bearer (the accessToken)"
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
