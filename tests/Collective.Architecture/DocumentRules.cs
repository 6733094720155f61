using System.Text;
using System.Text.RegularExpressions;

namespace Collective.Architecture;

/// <summary>One Markdown file, without its code blocks: those may show anything.</summary>
internal sealed record Document(string Path, IReadOnlyList<string> Lines)
{
    public static Document Parse(string path, string text) => new(path, WithoutCodeBlocks(text.ReplaceLineEndings("\n").Split('\n')));

    public static Document Load(string path) => Parse(path, Repository.Read(path));

    private static List<string> WithoutCodeBlocks(string[] lines)
    {
        var result = new List<string>(lines.Length);
        string? fence = null;
        foreach (var line in lines)
        {
            var start = line.TrimStart();
            var marker = start.StartsWith("```", StringComparison.Ordinal) ? "```" : start.StartsWith("~~~", StringComparison.Ordinal) ? "~~~" : null;
            var isFence = marker is not null && (fence is null || fence == marker);
            result.Add(isFence || fence is not null ? "" : line);
            if (isFence)
            {
                fence = fence is null ? marker : null;
            }
        }

        return result;
    }
}

/// <summary>Rules for the documentation.</summary>
internal static partial class DocumentRules
{
    /// <summary>Relative links, their anchors, and files named in code spans must exist.</summary>
    /// <param name="read">Gives the text of another Markdown file of the repository, for its anchors.</param>
    public static IEnumerable<Finding> DeadLinks(IEnumerable<Document> documents, Func<string, bool> exists, Func<string, Document> read)
    {
        foreach (var document in documents)
        {
            for (var i = 0; i < document.Lines.Count; i++)
            {
                var line = document.Lines[i];
                var links = Link().Matches(CodeSpan().Replace(line, "")).Concat(Definition().Matches(line)).Select(match => match.Groups["target"].Value);
                var problems = links.Select(link => ProblemOf(document, link, exists, read)).Concat(MissingFiles(line, exists));
                foreach (var problem in problems.OfType<string>())
                {
                    yield return new Finding(document.Path, i + 1, problem);
                }
            }
        }
    }

    /// <summary>Headings of the second level must be exactly <paramref name="names"/>.</summary>
    public static IEnumerable<Finding> HeadingsAre(Document document, IReadOnlyList<string> names, string what)
    {
        var headings = document.Lines.Select((line, i) => (Line: i + 1, Text: line)).Where(line => line.Text.StartsWith("## ", StringComparison.Ordinal))
            .Select(line => (line.Line, Name: line.Text[3..].Trim())).ToList();
        var missing = names.Except(headings.Select(heading => heading.Name)).Select(name => new Finding(document.Path, 1, $"{what} {name} has no heading"));
        var unknown = headings.Where(heading => !names.Contains(heading.Name)).Select(heading => new Finding(document.Path, heading.Line, $"'{heading.Name}' is no {what}"));
        var twice = headings.GroupBy(heading => heading.Name).Where(group => group.Count() > 1).Select(group => new Finding(document.Path, group.Last().Line, $"{what} {group.Key} has {group.Count()} headings"));
        return missing.Concat(unknown).Concat(twice);
    }

    /// <summary>Every name must occur as a whole word.</summary>
    public static IEnumerable<Finding> Mentions(Document document, IReadOnlyList<string> names, string what)
    {
        var text = string.Join('\n', document.Lines);
        return names.Where(name => !Regex.IsMatch(text, $@"\b{Regex.Escape(name)}\b")).Select(name => new Finding(document.Path, 1, $"{what} {name} is not described"));
    }

    /// <summary>The anchors of a document's headings, as GitHub makes them.</summary>
    public static IReadOnlySet<string> Anchors(Document document)
    {
        var anchors = new HashSet<string>(StringComparer.Ordinal);
        foreach (var heading in document.Lines.Where(line => Heading().IsMatch(line)))
        {
            var slug = Slug(heading.TrimStart('#').Trim());
            var anchor = slug;
            for (var n = 1; !anchors.Add(anchor); n++)
            {
                anchor = $"{slug}-{n}";
            }
        }

        return anchors;
    }

    private static string? ProblemOf(Document document, string link, Func<string, bool> exists, Func<string, Document> read)
    {
        if (link.Contains("://", StringComparison.Ordinal) || link.StartsWith("mailto:", StringComparison.Ordinal))
        {
            return null;
        }

        var parts = link.Split('#', 2);
        var target = parts[0].Length == 0 ? document.Path : Combine(document.Path, Uri.UnescapeDataString(parts[0]));
        if (target is null || !exists(target))
        {
            return $"dead link {link}";
        }

        return parts.Length > 1 && target.EndsWith(".md", StringComparison.Ordinal) && !Anchors(read(target)).Contains(parts[1]) ? $"dead link {link}: no such heading" : null;
    }

    /// <summary>Code spans such as `docs/errors.md`, relative to the root of the repository. Names with a placeholder in capitals are examples.</summary>
    private static IEnumerable<string?> MissingFiles(string line, Func<string, bool> exists)
        => from match in CodeSpan().Matches(line)
           let path = match.Groups["code"].Value
           where FilePath().IsMatch(path) && !path.Contains("NNNN", StringComparison.Ordinal) && exists(path.Split('/')[0]) && !path.StartsWith("artifacts/", StringComparison.Ordinal)
           where !exists(path)
           select $"there is no {path}";

    /// <summary>The target relative to the root, or <see langword="null"/> when it leaves the repository.</summary>
    private static string? Combine(string documentPath, string relative)
    {
        var parts = relative.StartsWith('/') ? [] : documentPath.Split('/')[..^1].ToList();
        foreach (var part in relative.Split('/').Where(part => part is not ("" or ".")))
        {
            if (part != "..")
            {
                parts.Add(part);
            }
            else if (parts.Count == 0)
            {
                return null;
            }
            else
            {
                parts.RemoveAt(parts.Count - 1);
            }
        }

        return string.Join('/', parts);
    }

    private static string Slug(string heading)
    {
        var slug = new StringBuilder();
        foreach (var c in heading.ToLowerInvariant())
        {
            slug.Append(c == ' ' ? "-" : char.IsLetterOrDigit(c) || c is '-' or '_' ? c.ToString() : "");
        }

        return slug.ToString();
    }

    [GeneratedRegex("""!?\[[^\]]*\]\(<?(?<target>[^)\s>]+)>?(?:\s+"[^"]*")?\)""")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\s{0,3}\[[^\]]+\]:\s*(?<target>\S+)")]
    private static partial Regex Definition();

    [GeneratedRegex("`(?<code>[^`]+)`")]
    private static partial Regex CodeSpan();

    [GeneratedRegex("^#{1,6} ")]
    private static partial Regex Heading();

    [GeneratedRegex(@"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)+\.(cs|csproj|md|sh|json|txt|props|sln|py|h|c|service)$")]
    private static partial Regex FilePath();
}
