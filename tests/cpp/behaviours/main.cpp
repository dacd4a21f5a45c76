#include "check.hpp"

#include <exception>

int main()
{
    for (const test *each = test::first; each != nullptr; each = each->next) {
        try {
            each->body();
        } catch (const std::exception &error) {
            std::printf("%s threw: %s\n", each->name, error.what());
            return 1;
        }
        std::printf("ok %s\n", each->name);
    }
    return 0;
}
