using System.Net.Sockets;

namespace Collective.Transport;

/// <summary>Failures that say something about this process or its system, and nothing about the other side.</summary>
internal static class Shortage
{
    private const string NoDescriptors = "its process has no file descriptors left (allow it more with ulimit -n, or close files)";

    // EMFILE and ENFILE of Linux.
    private const int TooManyFiles = 24;
    private const int TooManyFilesInSystem = 23;

    /// <summary>What is short, with what to do, as a sentence about "it"; null when the failure has another cause.</summary>
    public static string? Of(Exception exception) => exception switch
    {
        SocketException { SocketErrorCode: SocketError.TooManyOpenSockets }
            => NoDescriptors,
        SocketException { SocketErrorCode: SocketError.NoBufferSpaceAvailable }
            => "its system has no memory left for connections (free some)",
        InsufficientMemoryException => exception.Message,
        // The runtime needs them to start a thread, and to load what is used for the first time.
        OutOfMemoryException or FileNotFoundException or FileLoadException or TypeInitializationException when OfDescriptors() is { } descriptors => descriptors,
        OutOfMemoryException when !GivesThreads()
            => "its system gives its process no more threads (allow it more with ulimit -u, or end some)",
        OutOfMemoryException
            => "its system gives its process no more memory (allow it more with ulimit -v, or free some)",
        _ => null,
    };

    /// <summary>Whether there are no descriptors, which neither the resolver of names nor the runtime says; null when there are.</summary>
    public static string? OfDescriptors()
    {
        try
        {
            File.OpenHandle("/dev/null").Dispose();
            return null;
        }
        catch (IOException e)
        {
            return e.HResult is TooManyFiles or TooManyFilesInSystem ? NoDescriptors : null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The runtime says only that it is out of memory when the system refuses a thread.</summary>
    private static bool GivesThreads()
    {
        try
        {
            new Thread(static () => { }, maxStackSize: 64 * 1024) { IsBackground = true, Name = "collective-check" }.Start();
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
