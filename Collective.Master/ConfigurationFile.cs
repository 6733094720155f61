using System.Text.Json;

namespace Collective.Daemon;

/// <summary>Reads the JSON configuration file: one object, whose keys are those of <see cref="Setting"/> and no others.</summary>
internal static class ConfigurationFile
{
    private static readonly JsonDocumentOptions s_options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        AllowDuplicateProperties = false,
    };

    public static IReadOnlyDictionary<string, GivenValue> Read(GivenValue path)
    {
        var values = new Dictionary<string, GivenValue>(StringComparer.Ordinal);
        using var document = Parse(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            throw new UsageException($"The configuration file {path.Text} must contain one JSON object.");
        }

        foreach (var property in document.RootElement.EnumerateObject())
        {
            var source = $"\"{property.Name}\" in the configuration file {path.Text}";
            if (!Setting.Keys.Contains(property.Name))
            {
                throw new UsageException($"{source} is not a known key; the known keys are {string.Join(", ", Setting.Keys)}.");
            }

            values.Add(property.Name, Value(property.Value, source));
        }

        return values;
    }

    private static JsonDocument Parse(GivenValue path)
    {
        try
        {
            // Before it is opened: a pipe would wait for who writes into it, and a device might never end. Both have no length.
            var length = new FileInfo(File.ResolveLinkTarget(path.Text, returnFinalTarget: true)?.FullName ?? path.Text).Length;
            if (length == 0)
            {
                throw new UsageException($"The configuration file {path.Text} ({path.Source}) is empty, or is no regular file.");
            }

            using var stream = File.OpenRead(path.Text);
            if (length > Limits.ConfigurationFileBytesMax)
            {
                throw new UsageException($"The configuration file {path.Text} ({path.Source}) is larger than {Limits.ConfigurationFileBytesMax} bytes.");
            }

            return JsonDocument.Parse(stream, s_options);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"The configuration file {path.Text} ({path.Source}) cannot be read: {Sentence.From(exception)}");
        }
        catch (JsonException exception)
        {
            throw new UsageException($"The configuration file {path.Text} ({path.Source}) is not valid JSON: {Sentence.From(exception)}");
        }
    }

    private static GivenValue Value(JsonElement element, string source) => element.ValueKind switch
    {
        JsonValueKind.String => new GivenValue(element.GetString()!, source),
        JsonValueKind.Number => new GivenValue(element.GetRawText(), source),
        _ => throw new UsageException($"{source} must be a string or a number."),
    };
}
