using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Collective.Native;

/// <summary>The log as lines of a file that the operator has named. Trouble with the file is no trouble of the program.</summary>
internal sealed class LogFile
{
    // Guards the file: lines come from all threads.
    private readonly Lock _gate = new();
    private readonly FileStream _stream;

    private LogFile(FileStream stream)
    {
        _stream = stream;
    }

    public static LogFile? Open()
    {
        if (EnvironmentSettings.LogFile is not { Length: > 0 } path)
        {
            return null;
        }

        try
        {
            return new LogFile(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            return null;
        }
    }

    public void Write(LogLevel level, string category, string message)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} {Environment.ProcessId} {level} {category}: {message}\n");
        try
        {
            lock (_gate)
            {
                _stream.Write(Encoding.UTF8.GetBytes(line));
            }
        }
        catch (IOException)
        {
            // The disk is full, or the like.
        }
    }
}
